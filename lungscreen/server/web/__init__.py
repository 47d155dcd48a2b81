"""What browsers and programs see: routes, pages, and what guards them."""
