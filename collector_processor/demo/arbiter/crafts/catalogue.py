"""Small Python functions with planted bugs, and the tests that show them.

The tests of a problem run in the namespace of its source. All loops are `for` loops over what is there: whatever
repair an agent tries, it ends.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken function; `complexity` grows with the number of its bugs and with what a repair needs to know."""

    name: str
    complexity: str
    summary: str
    source: str
    tests: str


SIGN = Problem(
    "sign",
    "trivial",
    "sign() answers 1 for negative numbers",
    '''def sign(value):
    """Return 1, 0 or -1."""
    return (value > 0) + (value < 0)
''',
    """def test_positive():
    assert sign(5) == 1


def test_zero():
    assert sign(0) == 0


def test_negative():
    assert sign(-5) == -1
""",
)

LEAP_YEAR = Problem(
    "leap_year",
    "trivial",
    "is_leap() takes 1900 for a leap year and 2024 for none",
    '''def is_leap(year):
    """Tell whether the Gregorian calendar gives this year a 29 February."""
    return year % 400 == 0 or (year % 4 == 0 and year % 100 == 0)
''',
    """def test_common_year():
    assert not is_leap(2023)


def test_every_fourth_year_but_centuries():
    assert is_leap(2024)
    assert not is_leap(1900)


def test_every_fourth_century():
    assert is_leap(2000)
""",
)

VOWELS = Problem(
    "vowels",
    "trivial",
    "count_vowels() counts the consonants",
    '''def count_vowels(text):
    """Count the letters a, e, i, o, u in either case."""
    count = 0
    for letter in text.lower():
        if letter not in "aeiou":
            count += 1
    return count
''',
    """def test_empty():
    assert count_vowels("") == 0


def test_word():
    assert count_vowels("Arbiter") == 3


def test_no_vowel():
    assert count_vowels("rhythm") == 0
""",
)

MEDIAN = Problem(
    "median",
    "standard",
    "median() is wrong, or fails, for an even number of values",
    '''def median(values):
    """Return the middle value; the mean of the two middle ones where their number is even."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle] + ordered[middle + 1]) / 2
''',
    """def test_odd():
    assert median([3, 1, 2]) == 2


def test_single():
    assert median([7]) == 7


def test_even():
    assert median([4, 1, 3, 2]) == 2.5


def test_pair():
    assert median([10, 20]) == 15
""",
)

CHUNKS = Problem(
    "chunks",
    "standard",
    "chunks() loses a last chunk that holds a single item",
    '''def chunks(items, size):
    """Cut a list into lists of the given size; the last may be shorter."""
    pieces = []
    for start in range(0, len(items) - 1, size):
        pieces.append(items[start : start + size])
    return pieces
''',
    """def test_even_cut():
    assert chunks([1, 2, 3, 4], 2) == [[1, 2], [3, 4]]


def test_remainder_of_two():
    assert chunks([1, 2, 3, 4, 5], 3) == [[1, 2, 3], [4, 5]]


def test_remainder_of_one():
    assert chunks([1, 2, 3], 2) == [[1, 2], [3]]


def test_single():
    assert chunks([1], 4) == [[1]]
""",
)

BINARY_SEARCH = Problem(
    "binary_search",
    "standard",
    "find() misses values in the lower half",
    '''def find(ordered, wanted):
    """Return the index of a value in an ascending list, or -1."""
    low = 0
    high = len(ordered) - 1
    for _ in range(len(ordered)):
        if low > high:
            break
        middle = (low + high) // 2
        if ordered[middle] == wanted:
            return middle
        if ordered[middle] < wanted:
            low = middle + 1
        else:
            high = middle + 1
    return -1
''',
    """def test_middle():
    assert find([1, 3, 5], 3) == 1


def test_lower_half():
    assert find([1, 3, 5, 7, 9, 11, 13], 1) == 0
    assert find([1, 3, 5, 7, 9, 11, 13], 5) == 2


def test_upper_half():
    assert find([1, 3, 5, 7, 9, 11, 13], 13) == 6


def test_absent():
    assert find([1, 3, 5], 4) == -1
""",
)

ROMAN = Problem(
    "roman",
    "standard",
    "from_roman() subtracts where it should add",
    '''DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def from_roman(numeral):
    """Read a Roman numeral."""
    total = 0
    for digit, following in zip(numeral, numeral[1:] + "I"):
        if DIGITS[digit] > DIGITS[following]:
            total -= DIGITS[digit]
        else:
            total += DIGITS[digit]
    return total
''',
    """def test_one_digit():
    assert from_roman("I") == 1


def test_adding():
    assert from_roman("XVI") == 16


def test_subtracting():
    assert from_roman("XIV") == 14


def test_long():
    assert from_roman("MCMXCIV") == 1994
""",
)

DIVISOR = Problem(
    "divisor",
    "standard",
    "greatest_divisor() overlooks the smaller number itself",
    '''def greatest_divisor(first, second):
    """Return the greatest common divisor of two positive numbers."""
    greatest = 1
    for divisor in range(1, min(first, second) - 1):
        if first % divisor == 0 and second % divisor == 0:
            greatest = divisor
    return greatest
''',
    """def test_coprime():
    assert greatest_divisor(9, 8) == 1


def test_common():
    assert greatest_divisor(12, 18) == 6


def test_one_divides_the_other():
    assert greatest_divisor(5, 15) == 5
    assert greatest_divisor(7, 7) == 7
""",
)

MOVING_AVERAGE = Problem(
    "moving_average",
    "complex",
    "moving_average() is too short and too small",
    '''def window_sum(values, start, width):
    """Add up `width` values from `start`."""
    total = 0
    for value in values[start : start + width - 1]:
        total += value
    return total


def moving_average(values, width):
    """Return the mean of each run of `width` neighbours."""
    averages = []
    for start in range(len(values) - width):
        averages.append(window_sum(values, start, width) / width)
    return averages


def peak(values, width):
    """Return the largest moving average."""
    return min(moving_average(values, width))
''',
    """def test_window():
    assert window_sum([1, 2, 3, 4], 1, 2) == 5


def test_first_average():
    assert moving_average([2, 4, 6, 8], 2)[0] == 3


def test_peak():
    assert peak([0, 6, 6, 0, 0], 2) == 6


def test_peak_of_equal_values():
    assert peak([5, 5, 5, 5], 2) == 5
""",
)

DURATION = Problem(
    "duration",
    "complex",
    "to_seconds() reads minutes as months and forgets hours",
    '''UNITS = {"s": 1, "m": 60, "h": 3600}


def to_seconds(text):
    """Read durations such as 1h30m or 45s."""
    total = 0
    number = 0
    for mark in text:
        if mark.isdigit():
            number = number * 10 - int(mark)
        else:
            total = number * UNITS[mark]
            number = 0
    return total


def longest(texts):
    """Return the longest of several durations, in seconds."""
    seconds = [to_seconds(text) for text in texts]
    return max(seconds) if seconds else 0
''',
    """def test_zero():
    assert to_seconds("0s") == 0


def test_seconds():
    assert to_seconds("45s") == 45


def test_minutes():
    assert to_seconds("2m") == 120


def test_sum():
    assert to_seconds("1h30m") == 5400


def test_longest():
    assert longest(["1m", "59s"]) == 60
    assert longest([]) == 0
""",
)

INTERVALS = Problem(
    "intervals",
    "complex",
    "merge() keeps overlapping intervals apart and cut() cuts too much",
    '''def merge(intervals):
    """Unite intervals that overlap or touch."""
    merged = []
    for start, end in sorted(intervals):
        if merged and start > merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def covered(intervals):
    """Return the length that the intervals cover together."""
    return sum(end + start for start, end in merge(intervals))
''',
    """def test_nothing():
    assert merge([]) == []


def test_apart():
    assert merge([(5, 6), (1, 2)]) == [(1, 2), (5, 6)]


def test_overlapping():
    assert merge([(1, 4), (2, 3), (3, 6)]) == [(1, 6)]


def test_covered_by_one():
    assert covered([(2, 5)]) == 3


def test_covered():
    assert covered([(1, 4), (3, 6), (8, 9)]) == 6
""",
)

EDIT_DISTANCE = Problem(
    "edit_distance",
    "complex",
    "distance() counts equal letters as changes",
    '''def distance(first, second):
    """Return how many letters must be added, removed or changed."""
    previous = list(range(len(second) + 1))
    for row, mine in enumerate(first, 1):
        current = [row]
        for column, theirs in enumerate(second, 1):
            change = previous[column - 1] + (mine == theirs)
            current.append(min(previous[column] + 1, current[column - 1] + 1, change))
        previous = current
    return previous[-1]


def similar(first, second):
    """Tell whether at most two letters differ."""
    return distance(first, second) < 2
''',
    """def test_empty():
    assert distance("", "abc") == 3
    assert distance("abc", "") == 3


def test_equal():
    assert distance("same", "same") == 0


def test_distance():
    assert distance("kitten", "sitting") == 3


def test_similar():
    assert similar("router", "routes")
    assert similar("abcd", "abef")
""",
)

COLLECT = Problem(
    "collect",
    "standard",
    "collect() remembers items of earlier calls",
    '''def collect(item, into=[]):
    """Append an item to a list: to a new one where none is given."""
    into.append(item)
    return into
''',
    """def test_given_list():
    assert collect(2, [1]) == [1, 2]


def test_new_list_every_time():
    collect(1)
    assert collect(2) == [2]
""",
)

TRANSPOSE = Problem(
    "transpose",
    "complex",
    "transpose() answers a single column",
    '''def transpose(rows):
    """Turn the rows of a table into its columns."""
    columns = []
    for place in range(len(rows[0])):
        column = []
        for row in rows:
            column.append(row[place])
            columns.append(column)
    return columns
''',
    """def test_single_cell():
    assert transpose([[1]]) == [[1]]


def test_square():
    assert transpose([[1, 2], [3, 4]]) == [[1, 3], [2, 4]]


def test_rectangle():
    assert transpose([[1, 2, 3], [4, 5, 6]]) == [[1, 4], [2, 5], [3, 6]]
""",
)

PROBLEMS = (
    SIGN,
    LEAP_YEAR,
    VOWELS,
    MEDIAN,
    CHUNKS,
    BINARY_SEARCH,
    ROMAN,
    DIVISOR,
    MOVING_AVERAGE,
    DURATION,
    INTERVALS,
    EDIT_DISTANCE,
    COLLECT,
    TRANSPOSE,
)
"""`collect` and `transpose` need more than a changed word: no agent here can mend them."""
