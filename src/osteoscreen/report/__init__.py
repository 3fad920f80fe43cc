"""What a reader sees: the ring, the overlay and the page, drawn from one ``ScreeningResult``."""
