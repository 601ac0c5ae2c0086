"""A model as C99 that needs no library but libm: `folder.c_files`."""
