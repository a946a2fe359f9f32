"""The answers as text for people; each module prints one command's answer."""
