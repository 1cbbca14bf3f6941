#include "core/fit/input_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "fit/array_bytes.h"
#include "fit/fit_cases.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InputFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& shape, const std::vector<float>& values) const {
    const std::filesystem::path file = folder_.path / "x.npy";
    write_atomically(file, array_bytes("<f4", "False", shape, bytes_of(values)));
    return file;
  }
  std::string refusal(const std::string& shape, const std::vector<float>& values) const {
    try {
      read_inputs(write(shape, values), stack_);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  TemporaryFolder folder_;
  Stack stack_ = square_stack(1, 2);
};

TEST_F(InputFile, GivesAllSitesOneMetricOrEachItsOwn) {
  const InputMetrics common = read_inputs(write("(3, 2)", {1, 0, 0, 2, 3, 0}), stack_);
  EXPECT_THAT(common.of_site, ElementsAre(0U, 0U));
  // R^T R = X^T X / 3 = diag(10, 4) / 3.
  EXPECT_NEAR(common.at(1).root[0], std::sqrt(10.0 / 3), 1e-9);
  EXPECT_NEAR(common.at(1).root[3], std::sqrt(4.0 / 3), 1e-9);
  const InputMetrics own = read_inputs(write("(2, 1, 2)", {1, 2, 3, 4}), stack_);
  EXPECT_THAT(own.of_site, ElementsAre(0U, 1U));
  EXPECT_NEAR(own.at(1).root[1], 4, 1e-4);
  const InputMetrics equal = read_inputs(write("(2, 1, 2)", {1, 2, 1, 2}), stack_);
  EXPECT_EQ(equal.metrics.size(), 1U);
}

TEST_F(InputFile, RefusesWhatDoesNotSuitTheSites) {
  EXPECT_THAT(refusal("(3, 3)", std::vector<float>(9, 1)), HasSubstr("inputs of 3 numbers"));
  EXPECT_THAT(refusal("(3, 1, 2)", std::vector<float>(6, 1)), HasSubstr("of 2 sites"));
  EXPECT_THAT(refusal("(2,)", {1, 1}), HasSubstr("an array of 2"));
  EXPECT_THAT(refusal("()", {1}), HasSubstr("no mode"));
  EXPECT_THAT(refusal("(0, 2)", {}), HasSubstr("holds no input"));
  EXPECT_THAT(refusal("(2, 0, 2)", {}), HasSubstr("site layer.0.q: holds no input"));
  EXPECT_THAT(refusal("(2, 1, 2)", {1, 1, 0, 0}), HasSubstr("site layer.0.v: all inputs are zero"));
  EXPECT_THROW(read_inputs("x.txt", stack_), UsageError);
}

}  // namespace
}  // namespace rankfold
