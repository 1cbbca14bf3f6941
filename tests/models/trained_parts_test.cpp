#include "experiments/models/trained_parts.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

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

TEST(TrainedParts, HoldWhatTrainsWithTheMethod) {
  Method bitfit;
  bitfit.trained_part = "norm-shifts";
  EXPECT_EQ(all_trained_parts("head", Method{}), "head");
  EXPECT_EQ(all_trained_parts("", bitfit), "norm-shifts");
  EXPECT_EQ(all_trained_parts("head", bitfit), "head,norm-shifts");
  EXPECT_EQ(all_trained_parts("norms, head", bitfit), "norms, head");
  EXPECT_EQ(all_trained_parts("norm-shifts", bitfit), "norm-shifts");
  const TrainedParts parts = parse_trained_parts("norm-shifts", "");
  EXPECT_TRUE(parts.norm_shifts);
  EXPECT_FALSE(parts.norms);
}

TEST(TrainedParts, HaveARankOfFiveWhereTheMethodHasNone) {
  EXPECT_EQ(tensor_train_head_rank(""), 5u);
  EXPECT_EQ(tensor_train_head_rank("8x8x4"), 5u);
  EXPECT_EQ(tensor_train_head_rank("12"), 12u);
}

}  // namespace
}  // namespace rankfold
