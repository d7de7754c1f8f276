"""What a plan may say: every value of it is checked before it is used."""
