#include "experiments/models/trained_parts.h"

#include <gtest/gtest.h>

namespace rankfold {
namespace {

TEST(TrainedParts, AreReadFromTheList) {
  EXPECT_FALSE(parse_trained_parts("", "").norms);
  EXPECT_FALSE(parse_trained_parts("head,output", "").tt_head);
  const TrainedParts parts = parse_trained_parts(" norms , tt-head", "7");
  EXPECT_TRUE(parts.norms);
  EXPECT_TRUE(parts.tt_head);
  EXPECT_EQ(parts.tt_rank, 7u);
}

TEST(TrainedParts, HaveARankOfFiveWhereTheMethodHasNone) {
  EXPECT_EQ(tensor_train_head_rank(""), 5u);
  EXPECT_EQ(tensor_train_head_rank("8x8x4"), 5u);
  EXPECT_EQ(tensor_train_head_rank("12"), 12u);
}

}  // namespace
}  // namespace rankfold
