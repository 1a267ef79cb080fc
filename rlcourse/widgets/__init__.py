"""Interactive figures: pure models, and the shell that shows them."""
