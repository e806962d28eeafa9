"""`make docs`: write the page of conformance anew. Exit 1, a line for each fault, where that would be untrue."""

import sys

from tests.conformance.lines import SECTIONS
from tests.conformance.page import PAGE, by_line, collected, faults, page

shown = by_line(collected())
wrong = faults(SECTIONS, shown)
PAGE.parent.mkdir(exist_ok=True)
PAGE.write_text(page(SECTIONS, shown))
if wrong:
    sys.exit("\n".join(wrong))
