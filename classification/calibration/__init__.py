"""From a model's probability to a site's: maps, how they are fitted and judged, and the JSON that holds one."""
