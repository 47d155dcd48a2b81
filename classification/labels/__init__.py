"""Who had cancer, out of the tables that collections come with: one module a form, all under `interface`."""
