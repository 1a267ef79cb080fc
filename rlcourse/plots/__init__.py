"""Figures and pictures: functions that take arrays and draw them."""
