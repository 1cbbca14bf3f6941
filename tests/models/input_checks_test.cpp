#include "experiments/models/input_checks.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/device/bfloat16_weight.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

TEST(InputChecks, TakeFoldersThatAreThere) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(check_model_folder(folder.path));
  EXPECT_NO_THROW(check_data_folder(folder.path));
}

TEST(InputChecks, TellAShapeFromAFolderThatIsMissing) {
  EXPECT_EQ(message_of<Error>([] { check_model_folder("roberta-base"); }),
            "--model roberta-base: found no such folder; roberta-base is a built-in shape, which "
            "has no weights; expected a folder with config.json and model.safetensors");
  EXPECT_EQ(message_of<Error>([] { check_model_folder("no-such-folder"); }),
            "--model no-such-folder: found no such folder; expected config.json and "
            "model.safetensors in it");
  EXPECT_EQ(message_of<Error>([] { check_data_folder("no-such-folder"); }),
            "--data no-such-folder: found no such folder; expected the task's files in it");
}

TEST(InputChecks, RefuseAPrecisionThatTheMachineLacks) {
  EXPECT_NO_THROW(check_precision("f32"));
  EXPECT_EQ(message_of<Error>([] { check_precision("bf16"); }).empty(),
            bfloat16_obstacle().empty());
}

}  // namespace
}  // namespace rankfold
