#include "core/base/hash.h"

#include <string_view>

#include <gtest/gtest.h>

namespace rankfold {
namespace {

std::uint64_t hash(std::string_view text) {
  return content_hash(std::as_bytes(std::span(text.data(), text.size())));
}

// Values of the program xxhsum 0.8.
TEST(ContentHash, IsXxh64) {
  EXPECT_EQ(hash(""), 0xEF46DB3751D8E999U);
  EXPECT_EQ(hash("a"), 0xD24EC4F1A98C6E5BU);
  EXPECT_EQ(hash("abc"), 0x44BC2CF5AD770999U);
  EXPECT_EQ(hash("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1U);
}

TEST(ContentHash, SeesEveryByteOfEveryLength) {
  std::string text(100, 'x');
  for (std::size_t size = 1; size <= text.size(); ++size) {
    const std::uint64_t whole = hash(std::string_view(text).substr(0, size));
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = 'y';
      EXPECT_NE(hash(std::string_view(text).substr(0, size)), whole) << size << " " << i;
      text[i] = 'x';
    }
  }
}

}  // namespace
}  // namespace rankfold
