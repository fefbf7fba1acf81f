"""How a program asks for jobs and hears of them."""
