"""What the widgets compute: pure functions of the controls' values, no drawing."""
