#include "core/fit/update_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/fit/fit.h"
#include "core/random.h"
#include "decompositions/registry.h"
#include "fit/array_bytes.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

std::vector<float> drawn(std::size_t size, const char* purpose) {
  std::vector<float> values(size);
  RandomStream(1, purpose).fill_normal(std::span<float>(values), 0, 1);
  return values;
}

class UpdateFiles : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& bytes) {
    const std::filesystem::path file = folder_.path / name;
    write_atomically(file, bytes);
    return file;
  }
  std::string refusal(const std::filesystem::path& file, const std::filesystem::path& minus = {}) {
    try {
      UpdateFile(file, minus, 1);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  TemporaryFolder folder_;
};

TEST_F(UpdateFiles, ArraysAreLayersOfOneMatrixType) {
  const std::vector<float> values = drawn(3 * 4 * 5, "a");
  const UpdateFile file(write("a.npy", array_bytes("<f4", "False", "(3, 4, 5)", bytes_of(values))),
                        {}, 2);
  ASSERT_EQ(file.stack().sites.size(), 3U);
  EXPECT_EQ(file.stack().sites[2].name, "layer.2");
  EXPECT_EQ(file.stack().sites[2].out, 4U);
  EXPECT_EQ(file.stack().sites[2].heads, 2U);
  std::vector<float> scratch;
  EXPECT_EQ(file.open<float>(1000)->read(2, scratch)[7], values[2 * 20 + 7]);
  EXPECT_FALSE(file.is_double());
}

TEST_F(UpdateFiles, WrongArraysAreRefusedByName) {
  const std::string data(4 * 60, '\0');
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<f4", "True", "(3, 4, 5)", data))),
              HasSubstr("Fortran order"));
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<i4", "False", "(3, 4, 5)", data))),
              HasSubstr("'<i4'"));
  EXPECT_THAT(refusal(write("a.npy", array_bytes(">f4", "False", "(3, 4, 5)", data))),
              HasSubstr("'>f4'"));
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<f4", "False", "(12, 5)", data))),
              HasSubstr("12 x 5, expected (layers, out, in)"));
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<f4", "False", "(3, 4, 6)", data))),
              HasSubstr("has 288 bytes, the file has 240"));
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<f4", "False", "(3, 4, 5)", data + "x"))),
              HasSubstr("the file has 241"));
  EXPECT_THAT(
      refusal(write("a.npy", array_bytes("<f4", "False", "(4611686018427387904, 4, 5)", data))),
      HasSubstr("too large"));
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<f4", "Maybe", "(3, 4, 5)", data))),
              HasSubstr("neither True nor False"));
  EXPECT_THAT(refusal(write("a.npy", "\x93NUMPY\x01")), HasSubstr("no NumPy array"));
  EXPECT_THAT(refusal(write("a.npy", std::string("\x93NUMPY\x01\0\xff\xff{}", 12))),
              HasSubstr("the header has 65535 bytes"));
  EXPECT_THAT(refusal(write("a.txt", "x")), HasSubstr(".npy or a .safetensors"));
}

TEST_F(UpdateFiles, SafetensorsSitesFollowTheirNamesAndDifferencesAreOfOneName) {
  const std::vector<float> a = drawn(8, "a"), b = drawn(8, "b"), c = drawn(8, "c");
  const auto store = [&](const char* name, const std::vector<float>& first,
                         const std::vector<float>& second, std::vector<std::size_t> shape) {
    const std::filesystem::path file = folder_.path / name;
    const std::vector<TensorToWrite> tensors = {
        make_tensor("model.layers.10.self_attn.q_proj.weight", shape,
                    std::span<const float>(first)),
        make_tensor("model.layers.2.self_attn.v_proj.weight", {2, 4},
                    std::span<const float>(second)),
        make_tensor("model.norm.weight", {8}, std::span<const float>(c))};
    write_safetensors(file, tensors);
    return file;
  };
  const auto file = store("x.safetensors", a, b, {2, 4}),
             other = store("y.safetensors", b, c, {2, 4});
  const UpdateFile updates(file, other, 1);
  ASSERT_EQ(updates.stack().sites.size(), 2U);
  EXPECT_EQ(updates.stack().sites[0].name, "model.layers.2.self_attn.v_proj");
  EXPECT_EQ(updates.stack().sites[0].matrix, MatrixType::v);
  EXPECT_EQ(updates.stack().sites[1].layer, 10U);
  for (const std::size_t limit : {std::size_t{0}, std::size_t{1000}}) {
    std::vector<float> scratch;
    const auto source = updates.open<float>(limit);
    EXPECT_EQ(source->read(0, scratch)[3], b[3] - c[3]);
    EXPECT_EQ(source->read(1, scratch)[3], a[3] - b[3]);
  }
  EXPECT_THAT(refusal(file, store("z.safetensors", a, b, {4, 2})),
              HasSubstr("is 4 x 2, expected 2 x 4"));
  EXPECT_EQ(read_module_name("bert.encoder.layer.3.attention.output.dense")->matrix, MatrixType::o);
  EXPECT_EQ(read_module_name("bert.encoder.layer.3.output.dense")->matrix, MatrixType::down);
  EXPECT_FALSE(read_module_name("embeddings.query"));
  EXPECT_FALSE(read_module_name("layer.3.some_query"));
}

TEST_F(UpdateFiles, StreamedInputsGiveTheSameFit) {
  const std::vector<float> values = drawn(4 * 64 * 64, "a");
  const UpdateFile file(
      write("a.npy", array_bytes("<f4", "False", "(4, 64, 64)", bytes_of(values))), {}, 1);
  const Registry registry = builtin_registry();
  for (const char* name : {"lora", "lotr", "loha"}) {
    const Method& method = registry.at(name);
    const MethodSettings settings = resolve_settings(method, {"4", {}, "", {}}, file.stack());
    FitSettings fit;
    fit.iterations = 3;
    const auto errors = [&](std::size_t limit) {
      return fit_updates<float>(method, file.stack(), settings, *file.open<float>(limit), fit,
                                make_openblas_backend())
          .report.site_errors;
    };
    EXPECT_EQ(errors(0), errors(1 << 20)) << name;
  }
}

}  // namespace
}  // namespace rankfold
