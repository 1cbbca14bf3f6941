#include "core/fit/update_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/fit/fit.h"
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
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<i4", "False", "(3, 4, 5)", data))),
              HasSubstr("'<i4'"));
  for (const char* type : {">i8", "|u1", "|b1", "<c8", "|O", "<f16", "<U4", "|V8", "", "f", "<"})
    EXPECT_THAT(refusal(write("a.npy", array_bytes(type, "False", "(3, 4, 5)", data))),
                HasSubstr("expected float16, float32 or float64"))
        << type;
  for (const char* shape : {"()", "(60,)", "(1, 3, 4, 5)", "(0, 4, 5)"})
    EXPECT_NE(refusal(write("a.npy", array_bytes("<f4", "False", shape, data))), "accepted")
        << shape;
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<f4", "False", "()", data.substr(0, 4)))),
              HasSubstr("no mode, expected (layers, out, in)"));
  EXPECT_THAT(refusal(write("a.npy", array_bytes("<f4", "False", "(0, 4, 5)", ""))),
              HasSubstr("0 x 4 x 5, expected (layers, out, in)"));
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

TEST_F(UpdateFiles, ArraysOfEveryFloatingTypeByteOrderAndLayoutAreTheSameNumbers) {
  const std::vector<std::size_t> shape = {3, 4, 5};
  std::vector<float> values(60);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 4 - 5;
  std::vector<float> fortran(60);
  for (std::size_t l = 0; l < 3; ++l)
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < 5; ++j)
        fortran[l + 3 * (i + 4 * j)] = values[(l * 4 + i) * 5 + j];
  // Half precision of these: sign, exponent, fraction of the float.
  const auto half = [](float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (value == 0) return std::string(2, '\0');
    const auto exponent = (bits >> 23 & 255) - 127 + 15;
    const auto word =
        static_cast<std::uint16_t>((bits >> 31) << 15 | exponent << 10 | (bits >> 13 & 1023));
    return bytes_of(std::vector<std::uint16_t>{word});
  };
  const auto encode = [&](const std::string& type, const std::vector<float>& numbers) {
    std::string data;
    for (const float number : numbers) {
      std::string one = type.ends_with("f2")   ? half(number)
                        : type.ends_with("f4") ? bytes_of(std::vector<float>{number})
                                               : bytes_of(std::vector<double>{number});
      if (type.front() == '>') std::ranges::reverse(one);
      data += one;
    }
    return data;
  };
  for (const std::string type : {"<f2", "<f4", "<f8", ">f2", ">f4", ">f8", "=f4", "f8"})
    for (const bool in_fortran_order : {false, true}) {
      const UpdateFile file(
          write("a.npy", array_bytes(type, in_fortran_order ? "True" : "False", "(3, 4, 5)",
                                     encode(type, in_fortran_order ? fortran : values))),
          {}, 1);
      EXPECT_EQ(file.is_double(), type.ends_with("f8")) << type;
      for (const std::size_t limit : {std::size_t{0}, std::size_t{10'000}}) {
        const auto source = file.open<float>(limit);
        for (std::size_t site = 0; site < 3; ++site) {
          std::vector<float> scratch;
          const float* read = source->read(site, scratch);
          EXPECT_TRUE(std::equal(read, read + 20, values.data() + site * 20))
              << type << in_fortran_order;
        }
      }
    }
}

TEST_F(UpdateFiles, HeadersThatLieAreRefused) {
  const std::string data(4 * 60, '\0');
  const std::string good = array_bytes("<f4", "False", "(3, 4, 5)", data);
  for (std::size_t size = 0; size < good.size(); size += size < 140 ? 1 : 17)
    EXPECT_NE(refusal(write("a.npy", good.substr(0, size))), "accepted") << size;
  const auto with = [&](const std::string& header) {
    std::string bytes = "\x93NUMPY";
    bytes += '\x01';
    bytes += '\0';
    bytes += static_cast<char>(header.size() & 255);
    bytes += static_cast<char>(header.size() >> 8);
    return refusal(write("a.npy", bytes + header + data));
  };
  for (const char* header :
       {"{}", "", "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, -5)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), 'more': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5)} x",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 4, 5)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4, 5)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [3, 4, 5]}"})
    EXPECT_THAT(with(header), HasSubstr("the header of the array cannot be read")) << header;
  EXPECT_EQ(with("{\"shape\": (3, 4, 5), \"fortran_order\": False, \"descr\": \"<f4\"}"),
            "accepted");
}

TEST_F(UpdateFiles, ArraysOfOtherPrecisionMayBeSubtractedAndThoseOfOtherShapeNot) {
  const std::vector<float> values = drawn(60, "a");
  std::vector<double> other(60, 0.125);
  const auto file = write("a.npy", array_bytes("<f4", "False", "(3, 4, 5)", bytes_of(values))),
             minus = write("b.npy", array_bytes("<f8", "False", "(3, 4, 5)", bytes_of(other)));
  const UpdateFile both(file, minus, 1);
  EXPECT_TRUE(both.is_double());
  EXPECT_TRUE(both.has_minus());
  std::vector<double> scratch, weight;
  const auto source = both.open<double>(0);
  EXPECT_EQ(source->read(1, scratch)[3], static_cast<double>(values[23]) - 0.125);
  EXPECT_EQ(source->frozen_weight(1, weight)[3], 0.125);
  EXPECT_THAT(
      refusal(file, write("c.npy", array_bytes("<f4", "False", "(3, 5, 4)", bytes_of(values)))),
      HasSubstr("an array of 3 x 5 x 4, expected 3 x 4 x 5 as in"));
  EXPECT_THAT(refusal(file, write("c.npy", array_bytes("<f4", "False", "()", "1234"))),
              HasSubstr("no mode"));
}

TEST_F(UpdateFiles, NumbersThatAreNotFiniteAreRefusedByFileAndMatrix) {
  std::vector<float> values = drawn(60, "a");
  values[27] = std::numeric_limits<float>::quiet_NaN();
  const UpdateFile file(write("a.npy", array_bytes("<f4", "False", "(3, 4, 5)", bytes_of(values))),
                        {}, 1);
  for (const std::size_t limit : {std::size_t{0}, std::size_t{10'000}}) try {
      file.open<float>(limit);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("a.npy: matrix 1 holds nan at number 7"));
    }
  values[27] = std::numeric_limits<float>::infinity();
  const auto tensors = folder_.path / "x.safetensors";
  const std::vector<TensorToWrite> one = {
      make_tensor("layers.0.q_proj.weight", {6, 10}, std::span<const float>(values))};
  write_safetensors(tensors, one);
  try {
    UpdateFile(tensors, {}, 1).open<float>(0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("tensor layers.0.q_proj.weight holds inf at number 27"));
  }
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
                                make_cpu_device())
          .report.site_errors;
    };
    EXPECT_EQ(errors(0), errors(1 << 20)) << name;
  }
}

}  // namespace
}  // namespace rankfold
