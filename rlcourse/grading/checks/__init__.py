"""The checks of each exercise: `exNAME.py` holds QUESTIONS, other files hold what it is made of."""
