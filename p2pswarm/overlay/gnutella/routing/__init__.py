"""What becomes of messages: queries spread, answers find their way back, pongs are kept."""
