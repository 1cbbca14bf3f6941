#include "core/fit/array_source.h"

#include <gtest/gtest.h>

#include "core/fit/fit.h"
#include "decompositions/registry.h"
#include "fit/fit_cases.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

TEST(ArraySource, GivesEverySiteItsPartOfTheArray) {
  const Stack stack({{"a", MatrixType::q, 0, 2, 3, 1}, {"b", MatrixType::q, 1, 4, 3, 1}});
  std::vector<double> values(2 * 3 + 4 * 3), scratch;
  const ArraySource<double> source(values, stack);
  EXPECT_EQ(source.read(0, scratch), values.data());
  EXPECT_EQ(source.read(1, scratch), values.data() + 6);
  values.pop_back();
  EXPECT_EQ(message_of<Error>([&] { ArraySource<double>(values, stack); }),
            "updates of 2 sites: got 17 numbers, expected 18");
}

TEST(ArraySource, IsFittedAsTheSameMatricesApartAre) {
  const Stack stack = square_stack(2, 12);
  const Method method = lotr();
  const MethodSettings settings = settings_of(method, {"lotr", "2"}, stack);
  const Matrices<double> apart = noise<double>(stack);
  std::vector<double> joined;
  for (std::size_t site = 0; site < stack.sites.size(); ++site)
    joined.insert(joined.end(), apart.at(site).begin(), apart.at(site).end());
  const auto fit = [&](const UpdateSource<double>& source) {
    return fit_updates(method, stack, settings, source, FitSettings{}, make_cpu_device())
        .report.relative_error;
  };
  EXPECT_EQ(fit(ArraySource<double>(joined, stack)), fit(apart));
}

}  // namespace
}  // namespace rankfold
