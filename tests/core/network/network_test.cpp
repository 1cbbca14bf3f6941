#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/network/network.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

const Mode out{"out", 4}, in{"in", 3}, p{"p", 2};

std::string refusal(const Declaration& declaration) {
  return message_of<UsageError>([&] { check_factors(declaration, "[made] site q"); });
}

Declaration pair(const Factor& left, const Factor& right) {
  return weight_update({.out = {out}, .in = {in}, .terms = {{.product = {left, right}}}});
}

TEST(Factors, MayStandInSeveralTermsUnderOneName) {
  Declaration declaration = pair({"B", {out, p}}, {"A", {p, in}});
  Network& network = declaration.stages.front().network;
  network.terms.push_back(network.terms.front());
  EXPECT_EQ(refusal(declaration), "");
}

TEST(Factors, OfOneNameAreRefusedWhereTheyDiffer) {
  const char* expected = "[made] site q: two factors are named 'A', expected a name for each";
  EXPECT_EQ(refusal(pair({"A", {out, p}}, {"A", {p, in}})), expected);
  EXPECT_EQ(refusal(pair({"A", {{"out", 3}, p}, zeros()}, {"A", {{"in", 3}, p}, constant(1)})),
            expected);
}

TEST(Factors, DoNotShareTheNameOfAMagnitude) {
  Declaration declaration = pair({"a", {out, p}}, {"A", {p, in}});
  declaration.normalisation = {.magnitudes = {Factor{"a", {{"out", 4}}, constant(1)}}};
  EXPECT_THAT(refusal(declaration), HasSubstr("two factors are named 'a'"));
}

TEST(Factors, AreInAFileWhereTheyTrain) {
  Factor drawn{"A", {p, in}};
  drawn.storage = Storage::seed;
  EXPECT_THAT(refusal(pair({"B", {out, p}}, drawn)), HasSubstr("factor 'A' is trainable"));
  drawn.trainable = false;
  EXPECT_EQ(refusal(pair({"B", {out, p}}, drawn)), "");
}

}  // namespace
}  // namespace rankfold
