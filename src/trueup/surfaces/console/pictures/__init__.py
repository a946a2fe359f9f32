"""Small pictures as values: a template draws each as an element of its page, in the page's own colours."""
