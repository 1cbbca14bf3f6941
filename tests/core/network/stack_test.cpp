#include "core/network/stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

SiteCatalogue catalogue() {
  SiteCatalogue model{"toy", 4, {}, {MatrixType::o, MatrixType::down}};
  for (const MatrixType matrix : {MatrixType::down, MatrixType::v, MatrixType::q, MatrixType::o})
    for (std::size_t layer = 0; layer < 4; ++layer)
      model.sites.push_back(
          {std::string(to_string(matrix)) + std::to_string(layer), matrix, layer, 4, 4, 1});
  return model;
}

TEST(Stack, OrdersSitesByLayerThenMatrixHoweverTheUserWroteThem) {
  const Stack stack = select_stack(catalogue(), "v,q", "last:2");
  std::vector<std::string> names;
  for (const Site& site : stack.sites) names.push_back(site.name);
  EXPECT_THAT(names, testing::ElementsAre("q2", "v2", "q3", "v3"));
  EXPECT_EQ(stack.layer_position(stack.sites[2]), 1u);
  EXPECT_EQ(stack.matrix_position(stack.sites[3]), 1u);
}

TEST(Stack, RefusesTwoSitesOfOneName) {
  EXPECT_THROW(Stack({{"a", MatrixType::q, 0, 1, 1, 1}, {"a", MatrixType::v, 0, 1, 1, 1}}), Error);
}

TEST(Layers, AreAllFirstLastOrAList) {
  EXPECT_THAT(parse_layers("all", 3), testing::ElementsAre(0, 1, 2));
  EXPECT_THAT(parse_layers("first:2", 3), testing::ElementsAre(0, 1));
  EXPECT_THAT(parse_layers("last:1", 3), testing::ElementsAre(2));
  EXPECT_THAT(parse_layers("0,2,5-7", 8), testing::ElementsAre(0, 2, 5, 6, 7));
}

TEST(Layers, OutsideTheModelOrMisspeltAreRefused) {
  for (const char* text : {"", "first:0", "first:9", "last:x", "8", "2-1", "1,", "-1", "some"})
    EXPECT_THROW(parse_layers(text, 8), UsageError) << text;
}

TEST(Targets, NameTheAdapterPlacesOfTheModel) {
  EXPECT_THAT(parse_targets("adapters", catalogue()),
              testing::ElementsAre(MatrixType::o, MatrixType::down));
}

TEST(Targets, ThatTheModelLacksAreRefusedWithTheNearest) {
  for (const char* text : {"", "k", "q,q", "query", "q,,v"})
    EXPECT_THROW(parse_targets(text, catalogue()), UsageError) << text;
}

}  // namespace
}  // namespace rankfold
