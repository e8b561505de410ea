"""What exists: owners, packages, versions and the images that versions form. Pure: no network, files or clock."""
