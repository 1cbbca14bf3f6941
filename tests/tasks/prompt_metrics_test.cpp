#include "experiments/tasks/prompt_metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rankfold {
namespace {

TEST(PromptMetrics, CompareAnswersAsSquadDoes) {
  EXPECT_EQ(normalise_answer(" The  Eiffel-Tower,\n an icon of a \"City\"! "),
            "eiffeltower icon of city");
  EXPECT_EQ(normalise_answer("The a an"), "");
  const std::vector<std::string> answers = {"the red house", "a house, red and red"};
  EXPECT_EQ(exact_match("Red house.", answers), 1);
  EXPECT_EQ(exact_match("red houses", answers), 0);
  EXPECT_DOUBLE_EQ(token_f1("Red house", answers), 1);
  // Two of three words, and two of two.
  EXPECT_DOUBLE_EQ(token_f1("big red house", std::vector<std::string>{"red house"}), 0.8);
  // A word counts as often as both have it.
  EXPECT_DOUBLE_EQ(token_f1("red red red", std::vector<std::string>{"red and red"}), 4.0 / 6);
  EXPECT_DOUBLE_EQ(token_f1("", answers), 0);
  EXPECT_DOUBLE_EQ(token_f1("blue", answers), 0);
}

}  // namespace
}  // namespace rankfold
