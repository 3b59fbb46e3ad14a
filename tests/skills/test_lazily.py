"""Lazy values: worked out once, and while one is, others are not kept waiting."""

from threading import Event, Thread

from app.skills.lazily import lazily


class Waiting:
    """A value that takes as long as nobody lets it go on."""

    def __init__(self) -> None:
        self.asked, self.go_on, self.times = Event(), Event(), 0

    @lazily
    def value(self) -> int:
        self.asked.set()
        self.go_on.wait(10)
        self.times += 1
        return self.times


def test_value_is_worked_out_once() -> None:
    one = Waiting()
    one.go_on.set()
    assert (one.value, one.value) == (1, 1)


def test_value_of_one_does_not_wait_for_that_of_another() -> None:
    slow, other = Waiting(), Waiting()
    other.go_on.set()
    working = Thread(target=lambda: slow.value)
    working.start()
    assert slow.asked.wait(10)
    asking = Thread(target=lambda: other.value, daemon=True)
    asking.start()
    asking.join(5)
    was_answered = not asking.is_alive()
    slow.go_on.set()
    working.join()
    assert was_answered
