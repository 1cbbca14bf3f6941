#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/contract/check_method.h"
#include "decompositions/registry.h"

// The example of docs/adding-a-method.md, compiled from there.
#include "docs/examples/gated_pair.cpp"

namespace rankfold {
namespace {

TEST(ExampleMethod, PassesTheContractOnceItStandsInTheTable) {
  Registry registry = builtin_registry();
  registry.add(gated_pair());
  const CheckReport report = check_contract(registry.at("gated_pair"));
  EXPECT_THAT(report.failures, testing::IsEmpty());
  EXPECT_GT(report.accepted, 0u);
}

TEST(ExampleMethod, IsCountedByItsClosedForm) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < 12; ++layer)
    for (const MatrixType matrix : {MatrixType::q, MatrixType::v})
      sites.push_back({std::to_string(sites.size()), matrix, layer, 768, 768, 12});
  const Stack stack(std::move(sites));
  const Method method = gated_pair();
  const MethodSettings settings = resolve_settings(method, {"8", {}, "", {}}, stack);
  EXPECT_EQ(count_parameters(method, stack, settings).trainable, 8u * (2 * (768 + 768) + 12));
}

}  // namespace
}  // namespace rankfold
