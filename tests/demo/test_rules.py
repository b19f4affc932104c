"""When to restock, what to charge, what sells best."""

from proxy.demo.retail import Shelf
from proxy.demo.rules import Bestsellers, PriceBook, StockBook

TEA = Shelf("berlin", "tea")


def test_a_shelf_that_runs_low_is_ordered_once_until_it_is_full_again() -> None:
    book = StockBook(low=8, full=40)
    assert book.report(TEA, 10) is None
    assert book.sale(TEA, 3) == 33
    book.ordered(TEA)
    assert book.sale(TEA, 1) is None
    assert book.report(TEA, 6) is None  # the order is on its way
    assert book.report(TEA, 40) is None
    assert book.report(TEA, 5) == 35


def test_an_order_that_was_not_placed_stays_due() -> None:
    book = StockBook(low=8, full=40)
    assert book.report(TEA, 5) == 35
    assert book.sale(TEA, 1) == 36


def test_a_shelf_never_counted_is_not_ordered_for() -> None:
    assert StockBook(low=8).sale(TEA, 50) is None


def test_prices_follow_scarcity_and_are_told_only_when_they_change() -> None:
    book = PriceBook({"tea": 1000}, few=8, many=32)
    assert book.stock(TEA, 20) is None
    assert book.stock(TEA, 7) == 1100
    assert book.sale(TEA, 1) is None
    assert book.stock(TEA, 40) == 950
    assert book.sale(TEA, 10) == 1000


def test_a_promotion_takes_its_share_off_until_it_ends() -> None:
    book = PriceBook({"tea": 1000})
    assert book.promotion(TEA, 30) == 700
    assert book.promotion(TEA, 30) is None
    assert book.promotion(TEA, 0) == 1000


def test_an_article_of_another_assortment_has_no_price() -> None:
    assert PriceBook({}).stock(TEA, 1) is None


def test_the_best_seller_comes_first() -> None:
    sellers = Bestsellers()
    for sku, quantity in (("tea", 2), ("rice", 3), ("tea", 4)):
        sellers.sale(sku, quantity)
    assert sellers.top(5) == [("tea", 6), ("rice", 3)]
