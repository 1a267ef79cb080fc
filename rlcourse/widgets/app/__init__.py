"""The shell: ipywidgets controls bound to one picture."""
