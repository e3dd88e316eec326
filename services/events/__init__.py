"""Questions and changes that arrive as CloudEvents over a broker, and the answers that go back."""
