"""fixed/loader.py."""

from fixed import loader


def test_every_epoch_visits_each_row_once_in_the_order_of_its_seed() -> None:
    def first_epoch(seed: int) -> list[int]:
        starts = loader.row_starts(1_000, 10, 1, seed)
        return [next(starts)[0] for _ in range(98)]

    epoch = first_epoch(0)
    assert len(set(epoch)) == 98
    assert len({start % 10 for start in epoch}) == 1
    assert max(epoch) + 10 < 1_000
    assert epoch == first_epoch(0) != first_epoch(1)
