#include "core/network/factor_copies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using Shape = std::vector<std::size_t>;

Site site(const char* name, std::size_t layer, MatrixType matrix) {
  return {name, matrix, layer, 4, 3, 1};
}

/// One of each owner, and the site's own factor in two terms and a block.
Declaration declare(std::size_t rank) {
  const Mode out{"out", 4}, in{"in", 3}, p{"p", rank};
  const Factor own{"B", {out, p}}, layer{"L", {p, p}, normal(1), Owner::layer},
      matrix{"M", {p, p}, zeros(), Owner::matrix, false, Storage::seed},
      model{"A", {p, in}, zeros(), Owner::model};
  const Block block{.product = {matrix, model}, .modes = {p, in}, .as = {p, in}};
  Declaration declaration =
      weight_update({.out = {out},
                     .in = {in},
                     .terms = {{.product = {own, layer, block}}, {.product = {own, model}}}});
  declaration.normalisation = {.magnitudes = {Factor{"m", {{"out", 4}}, constant(1)}}};
  return declaration;
}

FactorCopies two_layers() {
  static const std::vector<Site> sites{site("0.q", 0, MatrixType::q), site("0.v", 0, MatrixType::v),
                                       site("1.q", 1, MatrixType::q)};
  FactorCopies copies("made");
  for (const Site& each : sites) copies.add(each, declare(2));
  return copies;
}

TEST(FactorCopies, AreNumberedAsTheSitesNameThem) {
  const FactorCopies copies = two_layers();
  std::vector<std::string> names, keys;
  for (std::size_t copy = 0; copy < copies.size(); ++copy) {
    names.push_back(copies.name(copy));
    keys.push_back(copies.key(copy));
  }
  EXPECT_THAT(names, ElementsAre("B.0.q", "L.0", "M.q", "A", "m.0.q", "B.0.v", "M.v", "m.0.v",
                                 "B.1.q", "L.1", "m.1.q"));
  EXPECT_THAT(keys, ElementsAre("0.q", "0", "q", "", "0.q", "0.v", "v", "0.v", "1.q", "1", "1.q"));
}

TEST(FactorCopies, AreSharedByTheSitesOfTheirOwner) {
  const FactorCopies copies = two_layers();
  EXPECT_THAT(copies.of_site(0), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(copies.of_site(1), ElementsAre(5, 1, 6, 3, 7));
  EXPECT_THAT(copies.of_site(2), ElementsAre(8, 9, 2, 3, 10));
  EXPECT_EQ(copies.number(Factor{"A", {}}, 2), 3U);
  EXPECT_EQ(copies.number(Factor{"B", {}}, 1), 5U);
  EXPECT_EQ(copies.first_user(2), 0U);
  EXPECT_EQ(copies.first_user(9), 2U);
  EXPECT_THAT(message_of<Error>([&] {
                copies.number(Factor{"C", {}}, 1);
              }),
              "[made] site 0.v: has no factor 'C'");
}

TEST(FactorCopies, KeepWhatTheFactorSaid) {
  const FactorCopies copies = two_layers();
  const FactorForm& frozen = copies.form(2);
  EXPECT_EQ(frozen.factor, "M");
  EXPECT_EQ(frozen.shape, (Shape{2, 2}));
  EXPECT_EQ(frozen.owner, Owner::matrix);
  EXPECT_FALSE(frozen.trainable);
  EXPECT_EQ(frozen.copies, 2U);
  EXPECT_EQ(frozen.storage, Storage::seed);
  EXPECT_EQ(copies.form(1).initialiser, normal(1));
  // B, L and m of each site or layer, and A; M is frozen.
  EXPECT_EQ(copies.trainable_size(), 3U * 8 + 2 * 4 + 6 + 3 * 4);
}

TEST(FactorCopies, OfUnequalShapesAreRefusedNamingBothSites) {
  FactorCopies copies = two_layers();
  const Site other = site("1.v", 1, MatrixType::v);
  EXPECT_EQ(
      message_of<UsageError>([&] { copies.add(other, declare(5)); }),
      "[made] sites 1.q and 1.v share factor 'L' but need unequal shapes: 2x2 and 5x5; choose "
      "targets of one shape");
}

TEST(FactorCopies, ThatCannotBeCountedSaySo) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  const auto count = [](std::vector<Factor> factors) {
    FactorCopies copies("made");
    Term term;
    for (Factor& factor : factors) term.product.emplace_back(std::move(factor));
    const Site only = site("q", 0, MatrixType::q);
    copies.add(only, weight_update({.out = {}, .in = {}, .terms = {std::move(term)}}));
    return message_of<Error>([&] { copies.trainable_size(); });
  };
  EXPECT_EQ(count({{"B", {{"a", most}, {"b", 2}}}}),
            "[made] factor 'B' has more numbers than can be counted");
  EXPECT_EQ(count({{"B", {{"a", most}}}, {"A", {{"b", 1}}}}),
            "[made] has more parameters than can be counted");
  EXPECT_EQ(count({{"B", {{"a", most}}}}), "");
}

}  // namespace
}  // namespace rankfold
