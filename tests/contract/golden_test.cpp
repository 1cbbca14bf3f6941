#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_reader.h"
#include "core/base/safetensors.h"
#include "core/contract/check_method.h"
#include "decompositions/registry.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

/// A case of lotr that a test changes before it is checked.
class GoldenFiles : public testing::Test {
 protected:
  using Tensors = std::vector<TensorToWrite>;

  std::string changed(
      const std::function<void(nlohmann::json&)>& change_case,
      const std::function<void(Tensors&)>& change_tensors = [](Tensors&) {}) {
    nlohmann::json document = read_json(origin / "case.json");
    change_case(document);
    write_atomically(folder.path / "case.json", document.dump());
    const SafetensorsFile file(origin / "tensors.safetensors");
    Tensors tensors;
    for (const TensorEntry& entry : file.entries())
      tensors.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
    change_tensors(tensors);
    write_safetensors(folder.path / "tensors.safetensors", tensors);
    return check();
  }
  std::string changed_text(const std::string& text) {
    changed([](nlohmann::json&) {});
    write_atomically(folder.path / "case.json", text);
    return check();
  }
  std::string check() {
    try {
      const CheckReport report =
          check_golden(builtin_registry().at(golden_method(folder.path)), folder.path);
      return report.failures.empty() ? "passed" : report.failures.front();
    } catch (const Error& error) {
      return error.what();
    }
  }
  static TensorToWrite& at(Tensors& tensors, const std::string& name) {
    return *std::ranges::find(tensors, name, &TensorToWrite::name);
  }

  const std::filesystem::path origin = RANKFOLD_GOLDEN_DIR "/decompositions/lotr";
  TemporaryFolder folder;
};

TEST_F(GoldenFiles, AreComparedAsTheyAre) {
  EXPECT_EQ(changed([](nlohmann::json&) {}), "passed");
}

TEST_F(GoldenFiles, WhoseTensorsDoNotFitTheCaseAreRefusedByTensorAndShapes) {
  for (const int rank : {1, 2, 4, 8})
    EXPECT_THAT(changed([&](nlohmann::json& document) {
                  document["rank"] = rank;
                  document.erase("parameters");
                }),
                HasSubstr("tensor 'factor.lhs' is 3x"))
        << rank;
  EXPECT_THAT(changed([](nlohmann::json& document) { document["rank"] = 1000; }),
              testing::AnyOf(HasSubstr("rank"), HasSubstr("numbers, expected factors of")));
  for (const std::string name : {"x.0", "gy.2", "y.1", "gx.0", "delta.1", "grad.rhs", "factor.rhs"})
    EXPECT_THAT(changed([](nlohmann::json&) {},
                        [&](Tensors& tensors) { std::ranges::reverse(at(tensors, name).shape); }),
                HasSubstr(", expected "))
        << name;
}

TEST_F(GoldenFiles, WithAMissingOrASurplusTensorAreRefusedByName) {
  for (const std::string name :
       {"base.1", "x.0", "gy.2", "y.1", "gx.0", "delta.1", "grad.rhs", "factor.rhs"})
    EXPECT_THAT(changed([](nlohmann::json&) {},
                        [&](Tensors& tensors) {
                          std::erase_if(tensors,
                                        [&](const auto& each) { return each.name == name; });
                        }),
                HasSubstr(name));
  EXPECT_THAT(changed([](nlohmann::json&) {},
                      [&](Tensors& tensors) {
                        tensors.push_back(at(tensors, "x.0"));
                        tensors.back().name = "x.77";
                      }),
              HasSubstr("tensor 'x.77' is none that this case has"));
}

TEST_F(GoldenFiles, WithNumbersThatAreNoneFail) {
  static const std::vector<double> none(10'000, std::numeric_limits<double>::quiet_NaN());
  for (const char* name : {"y.0", "x.0", "factor.lhs", "grad.mid.0"}) {
    const std::string found =
        changed([](nlohmann::json&) {},
                [&](Tensors& tensors) {
                  for (TensorToWrite& tensor : tensors)
                    if (tensor.name.starts_with(name))
                      tensor.bytes = std::as_bytes(std::span(none)).first(tensor.bytes.size());
                });
    EXPECT_THAT(found, HasSubstr("relative error nan")) << name;
  }
}

TEST_F(GoldenFiles, WithoutTokensHaveNothingToCompare) {
  EXPECT_THAT(changed([](nlohmann::json&) {},
                      [](Tensors& tensors) {
                        for (TensorToWrite& tensor : tensors)
                          for (const char* kind : {"x.", "y.", "gx.", "gy."})
                            if (tensor.name.starts_with(kind)) {
                              tensor.shape[0] = 0;
                              tensor.bytes = {};
                            }
                      }),
              HasSubstr("no numbers to compare"));
}

TEST_F(GoldenFiles, WhoseCaseHasWrongValuesAreRefusedByTheirKey) {
  const auto with = [&](const char* key, const nlohmann::json& value) {
    return changed([&](nlohmann::json& document) { document[key] = value; });
  };
  EXPECT_THAT(with("layers", 0), HasSubstr("key 'layers'"));
  EXPECT_THAT(with("layers", -1), HasSubstr("key 'layers'"));
  EXPECT_THAT(with("layers", "2"), HasSubstr("key 'layers'"));
  EXPECT_THAT(with("layers", 1000), HasSubstr("base."));
  EXPECT_THAT(with("heads", 1.5), HasSubstr("key 'heads'"));
  EXPECT_THAT(with("matrix_names", "q nose"), HasSubstr("'nose'"));
  EXPECT_THAT(with("matrix_names", nullptr), HasSubstr("key 'matrix_names'"));
  EXPECT_THAT(with("alpha", "much"), HasSubstr("key 'alpha'"));
  EXPECT_THAT(with("rank", nlohmann::json::array({"a"})), HasSubstr("key 'rank[0]'"));
  EXPECT_THAT(with("rank", nlohmann::json::object()), HasSubstr("key 'rank'"));
  EXPECT_THAT(with("method", 3), HasSubstr("key 'method'"));
  EXPECT_THAT(with("loss", "low"), HasSubstr("key 'loss'"));
  EXPECT_THAT(with("parameters", -1), HasSubstr("key 'parameters'"));
  EXPECT_THAT(with("parameters", 1), HasSubstr("expected 1"));
  EXPECT_THAT(with("surprise", 1), HasSubstr("key 'surprise' is no option of lotr"));
  EXPECT_THAT(changed_text(R"({"method": )" + std::string(200'000, '[')),
              HasSubstr("nested deeper"));
  EXPECT_THAT(changed_text("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(changed_text("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(changed_text(R"({"method": "lotr", "alpha": 1e999})"), HasSubstr("range of double"));
}

}  // namespace
}  // namespace rankfold
