"""Boards: what is on them, what goes onto them, and a stand-in where there is none (`entourage board`)."""
