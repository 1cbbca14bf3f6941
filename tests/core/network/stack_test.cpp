#include "core/network/stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "temporary_folder.h"

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

TEST(Targets, AllLinearAddsWhatLiesBesideAll) {
  SiteCatalogue model = catalogue();
  const std::vector<MatrixType> layers = parse_targets("all", model);
  EXPECT_EQ(parse_targets("all-linear", model), layers);
  model.sites.push_back({"pooler.dense", MatrixType::pooler, model.layers - 1, 4, 4, 1, "", true});
  EXPECT_EQ(parse_targets("all", model), layers);
  EXPECT_EQ(select_stack(model, "all-linear", "all").sites.back().name, "pooler.dense");
  EXPECT_EQ(select_stack(model, "q,pooler", "all").matrices.back(), MatrixType::pooler);
  EXPECT_EQ(select_stack(model, "all-linear", "first:1").matrices, layers);
  EXPECT_EQ(select_stack(model, "*.dense", "all").sites.size(), 1u);
  EXPECT_THROW(parse_targets("all-linear,q", model), UsageError);
}

TEST(Targets, MayBePatternsOfModuleNames) {
  const auto names = [](const std::string& targets, const std::string& layers = "all") {
    std::vector<std::string> found;
    for (const Site& site : select_stack(catalogue(), targets, layers).sites)
      found.push_back(site.name);
    return found;
  };
  EXPECT_THAT(names("*2"), testing::ElementsAre("q2", "v2", "o2", "down2"));
  EXPECT_THAT(names("d*n?,*o*0,q*", "0"), testing::ElementsAre("q0", "o0", "down0"));
  EXPECT_EQ(names("*").size(), 16u);
  for (const char* text : {"*x*", "q.*", "?", "*n", "**x", "q*,v", "*.mlp.*"})
    EXPECT_THROW(names(text), UsageError) << text;
  EXPECT_THROW(names("*3", "0-2"), UsageError);
}

TEST(Targets, AreAllModulesOrAFusedWeightOrItsParts) {
  SiteCatalogue model = catalogue();
  for (std::size_t layer = 0; layer < 4; ++layer) {
    const std::string fused = "fused" + std::to_string(layer);
    model.sites.push_back({fused, MatrixType::in_proj, layer, 12, 4, 1});
    for (Site& site : model.sites)
      if (site.layer == layer && (site.matrix == MatrixType::q || site.matrix == MatrixType::v))
        site.part_of = fused;
  }
  EXPECT_THAT(parse_targets("all", model),
              testing::ElementsAre(MatrixType::o, MatrixType::down, MatrixType::in_proj));
  EXPECT_EQ(select_stack(model, "q,v", "all").sites.size(), 8u);
  EXPECT_EQ(select_stack(model, "in_proj", "all").sites.size(), 4u);
  EXPECT_EQ(select_stack(model, "*", "0").sites.size(), 3u);
  EXPECT_THROW(select_stack(model, "q,in_proj", "all"), UsageError);
  EXPECT_EQ(message_of<Error>([&] { Stack(std::vector<Site>(model.sites)); }),
            "stack: 'q0' is a part of 'fused0', expected one of them");
  EXPECT_THROW(parse_targets("all,q", model), UsageError);
}

}  // namespace
}  // namespace rankfold
