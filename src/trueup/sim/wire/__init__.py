"""The simulated exchange on the wire, in the words of real venues; the web server is imported where it is used."""
