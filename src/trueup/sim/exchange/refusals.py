"""What the exchange answers where it does not do as it is told."""


class NotAllowed(Exception):
    """The exchange refuses a request; `why` is a word, the text says it in a sentence."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


class NoSuchOrder(NotAllowed):
    """The exchange knows no such order, or it is not the account's."""

    def __init__(self, name: str) -> None:
        super().__init__("no_such_order", f"there is no order {name}")
