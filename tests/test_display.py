"""The live line moves on a terminal, and leaves log files alone."""

import io

from recjax import display


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def drawn(file):
    with display.bar(2000, file=file) as bar:
        bar.set_postfix_str(display.told(5.25, 1500.0, "ndcg@10", 0.5, 500), refresh=False)
        bar.update(500)
        bar.refresh()
    return file.getvalue()


def test_on_a_terminal_it_says_what_one_wants_to_know():
    text = drawn(Terminal())
    assert "step 500 of 2000 |█████" in text
    assert "left, loss 5.25, 1.50k examples/s, best ndcg@10 .5000 at step 500" in text


def test_in_a_log_file_there_is_nothing():
    assert drawn(io.StringIO()) == ""
