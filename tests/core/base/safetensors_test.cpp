#include "core/base/safetensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

const float nan = std::numeric_limits<float>::quiet_NaN();
const float infinity = std::numeric_limits<float>::infinity();

/// A file with any header and data, and the header's true or another claimed length.
fs::path raw_file(const TemporaryFolder& folder, const std::string& header,
                  const std::string& data = "", std::uint64_t claimed = ~std::uint64_t{0}) {
  if (claimed == ~std::uint64_t{0}) claimed = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &claimed, 8);
  const fs::path file = folder.path / "raw.safetensors";
  write_atomically(file, bytes + header + data);
  return file;
}

/// What opening such a file says.
std::string refusal(const std::string& header, const std::string& data = "") {
  const TemporaryFolder folder;
  const fs::path file = raw_file(folder, header, data);
  std::string text = message_of<Error>([&] { SafetensorsFile opened(file); });
  if (text.empty()) return "(accepted)";
  const std::string prefix = file.string() + ": ";
  if (!text.starts_with(prefix)) return "THE FILE IS NOT NAMED: " + text;
  return text.substr(prefix.size());
}

template <class Stored>
TensorToWrite stored(std::string name, DataType type, const std::vector<Stored>& values) {
  return {std::move(name), type, {values.size()}, std::as_bytes(std::span(values))};
}

TEST(Safetensors, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "a" / "x.safetensors";
  const std::vector<float> singles = {1, -2, 3.5F, 0, nan, infinity};
  const std::vector<double> doubles = {0.1};
  const std::vector<std::int64_t> integers = {-1, 1LL << 60};
  const std::vector<TensorToWrite> tensors = {make_tensor("weight", {2, 3}, singles),
                                              make_tensor("scalar", {}, doubles),
                                              make_tensor("größe \"q\"", {2, 1}, integers)};
  write_safetensors(file, tensors, {{"format", "pt"}, {"note", "line\nend"}});

  const SafetensorsFile opened(file);
  EXPECT_EQ(opened.path(), file);
  ASSERT_EQ(opened.entries().size(), 3);
  EXPECT_EQ(opened.entries()[1].name, "scalar");
  EXPECT_THAT(opened.at("weight").shape, ElementsAre(2, 3));
  EXPECT_EQ(opened.at("weight").elements(), 6);
  EXPECT_EQ(opened.at("weight").type, DataType::f32);
  EXPECT_TRUE(opened.at("scalar").shape.empty());
  EXPECT_EQ(opened.at("scalar").elements(), 1);
  EXPECT_THAT(opened.read<double>("scalar"), ElementsAre(0.1));
  EXPECT_THAT(opened.read<float>("scalar"), ElementsAre(0.1F));
  EXPECT_EQ(opened.read<std::int64_t>("größe \"q\""), integers);
  const std::vector<float> weight = opened.read<float>("weight");
  EXPECT_EQ(std::memcmp(weight.data(), singles.data(), 24), 0);
  EXPECT_EQ(opened.metadata().at("note"), "line\nend");
}

TEST(Safetensors, PointsIntoTheMapWhereF32IsAligned) {
  const TemporaryFolder folder;
  const std::vector<float> singles = {1, 2};
  const std::vector<double> doubles = {3};
  const std::vector<std::int8_t> bytes = {1, 2, 3};
  const std::vector<TensorToWrite> tensors = {stored("a", DataType::i8, bytes),
                                              make_tensor("f", {2}, singles),
                                              make_tensor("z", {1}, doubles)};
  write_safetensors(folder.path / "x", tensors);
  const SafetensorsFile opened(folder.path / "x");
  const float* data = opened.f32_data(opened.at("f"));
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data[1], 2);
  EXPECT_EQ(opened.f32_data(opened.at("z")), nullptr);
  EXPECT_EQ(static_cast<const void*>(data), opened.bytes(opened.at("f")).data());
}

TEST(Safetensors, ReadsWhatIsNotAligned) {
  const TemporaryFolder folder;
  const float number = 1.5F;
  std::string data(5, '\x01');
  std::memcpy(data.data() + 1, &number, 4);
  const fs::path file = raw_file(folder,
                                 R"({"b":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("f":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}} )" +
                                     std::string(7, ' '),
                                 data);
  const SafetensorsFile opened(file);
  EXPECT_THAT(opened.read<float>("f"), ElementsAre(1.5F));
  EXPECT_THAT(opened.read<double>("f"), ElementsAre(1.5));
  const auto address = reinterpret_cast<std::uintptr_t>(opened.bytes(opened.at("f")).data());
  EXPECT_EQ(opened.f32_data(opened.at("f")) == nullptr, address % 4 != 0);
}

TEST(Safetensors, ConvertsEveryFloatingPointType) {
  const TemporaryFolder folder;
  const std::vector<double> doubles = {0.1, -1e300};
  // Half precision: 1, -2, the largest, the smallest normal, the smallest subnormal, -0, inf, nan.
  const std::vector<std::uint16_t> halves = {0x3C00, 0xC000, 0x7BFF, 0x0400,
                                             0x0001, 0x8000, 0x7C00, 0x7E01};
  const std::vector<std::uint16_t> brains = {0x3F80, 0xC049, 0x0001, 0x7F80};
  const std::vector<TensorToWrite> tensors = {stored("f64", DataType::f64, doubles),
                                              stored("f16", DataType::f16, halves),
                                              stored("bf16", DataType::bf16, brains)};
  write_safetensors(folder.path / "x", tensors);
  const SafetensorsFile opened(folder.path / "x");
  EXPECT_THAT(opened.read<double>("f64"), ElementsAre(0.1, -1e300));
  EXPECT_EQ(opened.read<float>("f64")[0], 0.1F);

  const std::vector<float> half = opened.read<float>("f16");
  const std::vector<float> expected = {1, -2, 65504, 0x1p-14F, 0x1p-24F, -0.0F, infinity};
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(std::bit_cast<std::uint32_t>(half[i]), std::bit_cast<std::uint32_t>(expected[i]));
  EXPECT_TRUE(std::isnan(half[7]));

  EXPECT_THAT(opened.read<double>("bf16"), ElementsAre(1, -3.140625, 0x1p-133, infinity));
}

TEST(Safetensors, ConvertsEveryIntegerType) {
  const TemporaryFolder folder;
  const std::vector<std::int32_t> i32 = {-2147483647 - 1};
  const std::vector<std::int16_t> i16 = {-32768};
  const std::vector<std::int8_t> i8 = {-128};
  const std::vector<std::uint8_t> u8 = {255};
  const std::vector<std::uint8_t> boolean = {0, 1};
  const std::vector<TensorToWrite> tensors = {
      stored("i32", DataType::i32, i32), stored("i16", DataType::i16, i16),
      stored("i8", DataType::i8, i8), stored("u8", DataType::u8, u8),
      stored("bool", DataType::boolean, boolean)};
  write_safetensors(folder.path / "x", tensors);
  const SafetensorsFile opened(folder.path / "x");
  EXPECT_THAT(opened.read<std::int64_t>("i32"), ElementsAre(-2147483648));
  EXPECT_THAT(opened.read<std::int64_t>("i16"), ElementsAre(-32768));
  EXPECT_THAT(opened.read<std::int64_t>("i8"), ElementsAre(-128));
  EXPECT_THAT(opened.read<std::int64_t>("u8"), ElementsAre(255));
  EXPECT_THAT(opened.read<std::int64_t>("bool"), ElementsAre(0, 1));
}

TEST(Safetensors, DoesNotMixFloatingPointAndIntegers) {
  const TemporaryFolder folder;
  const std::vector<float> singles = {1};
  const std::vector<std::int64_t> integers = {1};
  const std::vector<TensorToWrite> tensors = {make_tensor("f", {1}, singles),
                                              make_tensor("i", {1}, integers)};
  write_safetensors(folder.path / "x", tensors);
  const SafetensorsFile opened(folder.path / "x");
  EXPECT_THAT(message_of<Error>([&] { opened.read<std::int64_t>("f"); }),
              HasSubstr("x: tensor 'f' holds F32, expected integers"));
  EXPECT_THAT(message_of<Error>([&] { opened.read<float>("i"); }),
              HasSubstr("x: tensor 'i' holds I64, expected floating-point numbers"));
}

TEST(Safetensors, NamesTheNearestTensor) {
  const TemporaryFolder folder;
  const std::vector<float> singles = {1};
  const std::vector<TensorToWrite> tensors = {make_tensor("layer.0.weight", {1}, singles)};
  write_safetensors(folder.path / "x", tensors);
  const SafetensorsFile opened(folder.path / "x");
  EXPECT_EQ(opened.find("layer.0.weigth"), nullptr);
  EXPECT_THAT(message_of<Error>([&] { opened.at("layer.0.weigth"); }),
              HasSubstr("x: has no tensor 'layer.0.weigth'; the nearest name is 'layer.0.weight'"));
  EXPECT_THAT(message_of<Error>([&] { opened.at("b"); }),
              HasSubstr("x: has no tensor 'b' among its 1"));
}

TEST(Safetensors, TheBytesDoNotDependOnTheOrderGiven) {
  const TemporaryFolder folder;
  const std::vector<float> singles = {1, 2};
  const std::vector<double> doubles = {3};
  std::vector<TensorToWrite> tensors = {make_tensor("b", {2}, singles),
                                        make_tensor("a", {2}, singles),
                                        make_tensor("c", {1}, doubles)};
  write_safetensors(folder.path / "x", tensors, {{"k", "v"}});
  std::swap(tensors[0], tensors[2]);
  write_safetensors(folder.path / "y", tensors, {{"k", "v"}});
  const std::string bytes = read_text(folder.path / "x");
  EXPECT_EQ(bytes, read_text(folder.path / "y"));
  std::uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0);
  const std::string header =
      R"({"__metadata__":{"k":"v"},"c":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}})";
  EXPECT_EQ(bytes.substr(8, header.size()), header);
  EXPECT_EQ(bytes.size(), 8 + length + 24);
}

TEST(Safetensors, HoldsEmptyTensorsAndEmptyFiles) {
  const TemporaryFolder folder;
  const std::vector<float> none, one = {4};
  const std::vector<TensorToWrite> tensors = {
      make_tensor("a", {0, 3}, none), make_tensor("b", {1}, one), make_tensor("c", {2, 0}, none)};
  write_safetensors(folder.path / "x", tensors);
  const SafetensorsFile opened(folder.path / "x");
  EXPECT_TRUE(opened.read<float>("a").empty());
  EXPECT_THAT(opened.read<float>("b"), ElementsAre(4));
  EXPECT_THAT(opened.at("c").shape, ElementsAre(2, 0));
  write_safetensors(folder.path / "y", {});
  EXPECT_TRUE(SafetensorsFile(folder.path / "y").entries().empty());
}

TEST(Safetensors, RefusesToWriteWhatCouldNotBeRead) {
  const TemporaryFolder folder;
  const std::vector<float> singles = {1, 2};
  const auto refused = [&](std::vector<TensorToWrite> tensors,
                           const std::map<std::string, std::string>& metadata = {}) {
    return message_of<Error>([&] { write_safetensors(folder.path / "x", tensors, metadata); });
  };
  const TensorToWrite good = make_tensor("a", {2}, singles);
  EXPECT_THAT(refused({good, good}), HasSubstr("x: two tensors are named 'a'"));
  EXPECT_THAT(refused({make_tensor("a", {3}, singles)}),
              HasSubstr("x: tensor 'a' is given 8 bytes, expected 12 for its shape as F32"));
  EXPECT_THAT(refused({make_tensor("a", {1UL << 62, 8}, singles)}), HasSubstr("too large"));
  EXPECT_THAT(refused({make_tensor("__metadata__", {2}, singles)}), HasSubstr("cannot be named"));
  EXPECT_THAT(refused({make_tensor("\xff", {2}, singles)}), HasSubstr("not UTF-8"));
  EXPECT_THAT(refused({good}, {{"k", "\xff"}}), HasSubstr("not UTF-8"));
  EXPECT_EQ(folder.count(), 0);
}

TEST(Safetensors, AFullDiskIsAnError) {
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
  EXPECT_THAT(message_of<Error>([] { write_safetensors("/dev/full", {}); }),
              HasSubstr("/dev/full: cannot be written: No space left on device"));
}

TEST(Safetensors, RefusesAHeaderThatDoesNotFit) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "short";
  for (const std::size_t size : {0, 1, 7}) {
    write_atomically(file, std::string(size, '\0'));
    EXPECT_THAT(
        message_of<Error>([&] { SafetensorsFile opened(file); }),
        HasSubstr("short: has " + std::to_string(size) + " bytes, expected at least the 8"));
  }
  const auto claiming = [&](std::uint64_t claimed) {
    const fs::path raw = raw_file(folder, "{}", "", claimed);
    return message_of<Error>([&] { SafetensorsFile opened(raw); });
  };
  EXPECT_THAT(claiming(3), HasSubstr("claims 3 bytes, but only 2 follow"));
  EXPECT_THAT(claiming(100'000'001), HasSubstr("expected at most 100000000"));
  EXPECT_THAT(claiming(~std::uint64_t{0} - 1), HasSubstr("expected at most 100000000"));
  EXPECT_THAT(claiming(0), HasSubstr("does not begin with '{'"));
}

TEST(Safetensors, RefusesAHeaderThatIsNotAnObject) {
  EXPECT_THAT(refusal("[]"), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal(" {}"), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{}x"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"a\xff\":1}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(std::string("{}\0\0", 4)), HasSubstr("not valid JSON (near byte 2)"));
  EXPECT_EQ(refusal("{}   "), "(accepted)");
}

TEST(Safetensors, RefusesTensorsThatAreNotDescribedAsTheFormatDemands) {
  EXPECT_THAT(refusal(R"({"a":1})"), HasSubstr("tensor 'a' is a number, expected an object"));
  EXPECT_THAT(refusal(R"({"a":null})"), HasSubstr("tensor 'a' is null"));
  EXPECT_THAT(refusal(R"({"a":[]})"), HasSubstr("tensor 'a' is an array"));
  EXPECT_THAT(refusal(R"({"a":{}})"), HasSubstr("tensor 'a' has no dtype"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","data_offsets":[0,0]}})"), HasSubstr("has no shape"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[0]}})"), HasSubstr("has no data_offsets"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}})"),
              HasSubstr("tensor 'a' has an unknown key 'x'"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}})"),
              HasSubstr("tensor 'a' has dtype twice"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F7","shape":[0],"data_offsets":[0,0]}})"),
              HasSubstr("tensor 'a' has the unknown dtype 'F7', expected F64, F32"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":7,"shape":[0],"data_offsets":[0,0]}})"),
              HasSubstr("dtype of tensor 'a' holds a number, expected a text"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":["U8"],"shape":[0],"data_offsets":[0,0]}})"),
              HasSubstr("dtype of tensor 'a' holds an array"));
}

TEST(Safetensors, RefusesShapesAndOffsetsThatAreNotWholeNumbers) {
  const auto shape = [](const std::string& text) {
    return refusal(R"({"a":{"dtype":"U8","shape":)" + text + R"(,"data_offsets":[0,0]}})");
  };
  EXPECT_THAT(shape("[-1]"), HasSubstr("shape of tensor 'a' holds -1, expected whole numbers"));
  EXPECT_THAT(shape("[1.0]"), HasSubstr("shape of tensor 'a' holds 1.0"));
  EXPECT_THAT(shape("[18446744073709551616]"), HasSubstr("holds 18446744073709551616"));
  EXPECT_THAT(shape("[\"1\"]"), HasSubstr("holds a text"));
  EXPECT_THAT(shape("[true]"), HasSubstr("holds true"));
  EXPECT_THAT(shape("5"), HasSubstr("holds a number"));
  EXPECT_THAT(shape("{}"), HasSubstr("holds an object"));
  EXPECT_THAT(shape("null"), HasSubstr("holds null"));
  const auto offsets = [](const std::string& text) {
    return refusal(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":)" + text + "}}");
  };
  EXPECT_THAT(offsets("[0]"), HasSubstr("data_offsets of tensor 'a' holds 1 numbers, expected 2"));
  EXPECT_THAT(offsets("[0,0,0]"), HasSubstr("holds 3 numbers"));
  EXPECT_THAT(offsets("[-1,0]"), HasSubstr("data_offsets of tensor 'a' holds -1"));
  EXPECT_THAT(offsets("[1,0]"), HasSubstr("tensor 'a' begins at 1 after its end 0"));
  EXPECT_EQ(offsets("[0,0]"), "(accepted)");
}

TEST(Safetensors, RefusesAShapeThatDoesNotMatchItsBytes) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "abcd"),
              HasSubstr("tensor 'a' has 4 bytes, expected 8 for its shape as F32"));
  const std::string big = "4611686018427387904";
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[)" + big + R"(],"data_offsets":[0,0]}})"),
              HasSubstr("the shape of tensor 'a' is too large"));
  EXPECT_THAT(
      refusal(R"({"a":{"dtype":"U8","shape":[)" + big + ",4,0" + R"(],"data_offsets":[0,0]}})"),
      HasSubstr("the shape of tensor 'a' is too large"));
}

TEST(Safetensors, RefusesDuplicateNames) {
  const std::string tensor = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_THAT(refusal(R"({"a":)" + tensor + R"(,"a":)" + tensor + "}"),
              HasSubstr("tensor 'a' appears twice"));
  EXPECT_THAT(refusal(R"({"__metadata__":{},"__metadata__":{}})"), HasSubstr("appears twice"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"k":"1","k":"2"}})"),
              HasSubstr("metadata 'k' appears twice"));
}

TEST(Safetensors, RefusesMetadataThatIsNotText) {
  EXPECT_THAT(refusal(R"({"__metadata__":{"k":1}})"),
              HasSubstr("metadata 'k' is a number, expected a text"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"k":{}}})"), HasSubstr("metadata 'k' is an object"));
  EXPECT_THAT(refusal(R"({"__metadata__":"k"})"), HasSubstr("is a text, expected an object"));
}

TEST(Safetensors, RefusesOverlappingTensors) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                      R"("b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
                      "abcd"),
              HasSubstr("tensor 'b' overlaps tensor 'a'"));
}

TEST(Safetensors, RefusesHoles) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                      R"("b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
                      "abcd"),
              HasSubstr("a hole of 1 bytes lies before tensor 'b'"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "ab"),
              HasSubstr("a hole of 1 bytes lies before tensor 'a'"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "ab"),
              HasSubstr("1 bytes at the end belong to no tensor"));
}

TEST(Safetensors, RefusesDataOutsideTheFile) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", "abcd"),
              HasSubstr("tensor 'a' ends at byte 9 of the data, which has 4"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"U8","shape":[1],)"
                      R"("data_offsets":[18446744073709551614,18446744073709551615]}})",
                      "abcd"),
              HasSubstr("ends at byte 18446744073709551615"));
}

TEST(Safetensors, RefusesNestingBombs) {
  const std::size_t depth = 2'000'000;
  std::string objects;
  for (std::size_t i = 0; i < depth; ++i) objects += R"({"a":)";
  EXPECT_THAT(refusal(objects), HasSubstr("an unknown key 'a'"));
  EXPECT_THAT(refusal(R"({"a":)" + std::string(depth, '[')), HasSubstr("is an array"));
  EXPECT_THAT(refusal(R"({"a":{"shape":)" + std::string(depth, '[')), HasSubstr("holds an array"));
}

TEST(Safetensors, ErrorsStayShortAndOneLine) {
  const std::string name(100'000, 'n');
  EXPECT_LT(refusal("{\"" + name + "\":1}").size(), 400);
  EXPECT_THAT(refusal("{\"two\\nlines\":1}"), HasSubstr("tensor 'two\\nlines' is a number"));
}

TEST(Safetensors, SurvivesEveryChangeOfOneByteOfTheHeader) {
  const TemporaryFolder folder;
  const std::vector<float> singles = {1, 2, 3};
  const std::vector<TensorToWrite> tensors = {make_tensor("a", {3}, singles),
                                              make_tensor("b", {3, 1}, singles)};
  write_safetensors(folder.path / "x", tensors, {{"k", "v"}});
  const std::string good = read_text(folder.path / "x");
  const std::size_t header_end = good.size() - 24;
  const fs::path changed = folder.path / "y";
  for (std::size_t i = 0; i < header_end; ++i)
    for (const char value : {'\0', '"', '{', ']', '9', '\xff'}) {
      std::string bytes = good;
      bytes[i] = value;
      std::ofstream(changed, std::ios::binary) << bytes;
      try {
        const SafetensorsFile opened(changed);
        for (const TensorEntry& entry : opened.entries()) EXPECT_LE(opened.bytes(entry).size(), 24);
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("y: "));
      }
    }
}

TEST(SafetensorsFile, TakesNullForNoMetadata) {
  const TemporaryFolder folder;
  const SafetensorsFile file(raw_file(folder, R"({"__metadata__":null})", ""));
  EXPECT_TRUE(file.metadata().empty());
  EXPECT_THAT(refusal(R"({"a":null})"), HasSubstr("'a' is null"));
}

TEST(SafetensorsFile, RefusesNumbersBeyondRangeInItsOwnWords) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}})"),
              HasSubstr("number 1e999, which is out of range"));
  EXPECT_THAT(
      refusal(R"({"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}})"),
      HasSubstr("99999999999999999999"));
  std::string ones = "1";
  for (int i = 0; i < 100; ++i) ones += ",1";
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[)" + ones + R"(],"data_offsets":[0,4]}})"),
              HasSubstr("more than 64 numbers"));
}

}  // namespace
}  // namespace rankfold
