import math

import numpy as np
import pytest
from scipy import stats

from bnn_toolchain.study.statistics import difference, mean_interval


def test_the_interval_of_a_mean_is_that_of_the_t_test():
    values = [0.91, 0.93, 0.9, 0.95]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(np.mean(values))


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_of_a_difference_excludes_0_where_welchs_test_rejects(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(1, 1, 4).tolist(), rng.normal(0, 0.3, 3).tolist()
    test = stats.ttest_ind(first, second, equal_var=False)
    found = difference(first, second)
    expected = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.low > 0 or found.high < 0) == (test.pvalue < 0.05)


def test_values_without_spread():
    assert difference([2, 2, 2], [1, 1, 1]).low == 1
    assert difference([2, 2, 2], [2, 2, 2]).low == 0
    assert math.isnan(mean_interval([1.0]).low) and math.isnan(difference([1.0], [2.0, 3.0]).high)
