"""The pages, one a module; each has ROUTES."""
