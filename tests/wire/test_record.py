"""Record: fields, equality, a repr; and mistakes that MicroPython would swallow."""

import pytest

from mip4.record import Record


class Point(Record):
    __slots__ = ("x", "y")


class Pixel(Record):
    __slots__ = ("x", "y")


def test_fields_are_given_in_order_or_by_name():
    assert Point(1, 2) == Point(1, y=2) == Point(y=2, x=1)
    assert Point(1, 2).values() == (1, 2)


def test_records_of_different_classes_or_values_differ():
    assert Point(1, 2) != Point(2, 1)
    assert Point(1, 2) != Pixel(1, 2)
    assert Point(1, 2) != (1, 2)


def test_a_record_shows_its_class_and_fields():
    assert repr(Point(1, b"two")) == "Point(x=1, y=b'two')"


@pytest.mark.parametrize("values, named", [((), {}), ((1,), {}), ((1, 2, 3), {}), ((1, 2), {"y": 3}), ((), {"x": 1})])
def test_every_field_is_required_and_no_more(values, named):
    with pytest.raises(TypeError):
        Point(*values, **named)


def test_a_misspelt_field_is_refused():
    with pytest.raises(TypeError, match="z"):
        Point(1, z=2)
    with pytest.raises(AttributeError):
        Point(1, 2).z = 3


def test_a_field_given_twice_is_refused():
    with pytest.raises(TypeError, match="x"):
        Point(1, x=2)


def test_a_record_can_change_and_is_no_key():
    point = Point(1, 2)
    point.x = 5

    assert point == Point(5, 2)
    with pytest.raises(TypeError):
        hash(point)


class Origin(Point):
    __slots__ = ()


def test_a_record_without_fields_does_not_take_those_of_its_parent():
    assert Origin().values() == ()
    with pytest.raises(TypeError):
        Origin(1, 2)
