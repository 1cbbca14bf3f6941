#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/normalizers/precompiled.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

/// From this length on a cluster of characters is looked up one character at a time.
constexpr std::size_t long_cluster = 6;

/// SentencePiece's table: a double-array trie (Aoe, 1989) of 32-bit units, whose values are places
/// of texts that end with a zero byte.
class CharacterMap {
 public:
  explicit CharacterMap(const std::string& bytes) {
    std::uint32_t size = 0;
    if (bytes.size() >= sizeof(size)) std::memcpy(&size, bytes.data(), sizeof(size));
    if (bytes.size() < sizeof(size) || size % sizeof(std::uint32_t) != 0 || size == 0 ||
        size > bytes.size() - sizeof(size))
      throw Error("found {} bytes that say that {} of them are a trie", bytes.size(), size);
    units_.resize(size / sizeof(std::uint32_t));
    std::memcpy(units_.data(), bytes.data() + sizeof(size), size);
    texts_ = bytes.substr(sizeof(size) + size);
  }

  /// What the shortest known beginning of a text becomes. A trie that leads out of its own units
  /// knows nothing there.
  std::optional<std::string_view> find(std::string_view text) const {
    std::size_t place = offset(units_[0]);
    for (const char letter : text) {
      const auto byte = static_cast<unsigned char>(letter);
      if (byte == 0) return std::nullopt;
      place ^= byte;
      if (place >= units_.size()) return std::nullopt;
      const std::uint32_t unit = units_[place];
      if ((unit & (1u << 31 | 0xFF)) != byte) return std::nullopt;
      place ^= offset(unit);
      if ((unit >> 8 & 1) == 0) continue;
      if (place >= units_.size()) return std::nullopt;
      const std::size_t begin = units_[place] & ((1u << 31) - 1);
      if (begin > texts_.size()) return std::nullopt;
      const std::string_view rest = std::string_view(texts_).substr(begin);
      return rest.substr(0, rest.find('\0'));
    }
    return std::nullopt;
  }

 private:
  static std::size_t offset(std::uint32_t unit) {
    return static_cast<std::size_t>(unit >> 10) << ((unit & 1u << 9) >> 6);
  }

  std::vector<std::uint32_t> units_;
  std::string texts_;
};

class PrecompiledNormalizer : public Normalizer {
 public:
  explicit PrecompiledNormalizer(const std::string& bytes) : map_(bytes) {
    for (std::size_t i = 0; i < ascii_.size(); ++i) {
      const char character = static_cast<char>(i);
      const auto mapped = map_.find({&character, 1});
      ascii_[i] = mapped ? std::string(*mapped) : std::string(1, character);
    }
  }

  void normalize(NormalizedText& text) const override {
    const std::string& in = text.text;
    std::string out;
    out.reserve(in.size() + in.size() / 8);
    Boundaries boundaries;
    for (std::size_t i = 0; i < in.size();) {
      // An ASCII character stands by itself where no mark and no line feed follows.
      const std::size_t begin = i;
      while (i < in.size() && is_plain(in, i))
        append(ascii_[static_cast<unsigned char>(in[i++])], out);
      if (i > begin) continue;
      while (i < in.size() && !is_plain(in, i)) ++i;
      append_clusters(std::string_view(in).substr(begin, i - begin), boundaries, out);
    }
    if (!is_valid_utf8(out)) throw Error("the tokenizer's character map makes what is not UTF-8");
    text.text = std::move(out);
  }

 private:
  /// Made when a text asks for them: they cannot be shared by threads.
  using Boundaries = std::unique_ptr<icu::BreakIterator>;

  static bool is_plain(const std::string& text, std::size_t place) {
    const auto is_ascii = [&](std::size_t i) { return static_cast<unsigned char>(text[i]) < 0x80; };
    if (!is_ascii(place) || text[place] == '\r' || text[place] == '\n') return false;
    return place + 1 == text.size() || is_ascii(place + 1);
  }

  static void append(std::string_view text, std::string& out) {
    out += text;
    if (out.size() > longest_text) check_text_length(out.size());
  }

  /// Whether a cluster ends between two such characters.
  static bool is_alone(char32_t character) {
    switch (u_getIntPropertyValue(static_cast<UChar32>(character), UCHAR_GRAPHEME_CLUSTER_BREAK)) {
      case U_GCB_OTHER:
      case U_GCB_CONTROL:
      case U_GCB_LV:
      case U_GCB_LVT:
        return true;
      default:
        return false;
    }
  }

  void append_clusters(std::string_view text, Boundaries& boundaries, std::string& out) const {
    std::size_t begin = 0;  // of what is not written yet, all of it perhaps in one cluster
    bool was_alone = false;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t place = i;
      const bool alone = is_alone(decode_next(text, i));
      if (alone && was_alone) {
        append_stretch(text.substr(begin, place - begin), boundaries, out);
        begin = place;
      }
      was_alone = alone;
    }
    append_stretch(text.substr(begin), boundaries, out);
  }

  /// Boundaries by ICU where there is more than one character.
  void append_stretch(std::string_view text, Boundaries& boundaries, std::string& out) const {
    if (text.empty()) return;
    std::size_t first_end = 0;
    decode_next(text, first_end);
    if (first_end == text.size()) return append_cluster(text, out);
    UErrorCode status = U_ZERO_ERROR;
    if (!boundaries)
      boundaries.reset(icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
    UText opened = UTEXT_INITIALIZER;
    utext_openUTF8(&opened, text.data(), static_cast<std::int64_t>(text.size()), &status);
    if (U_SUCCESS(status)) boundaries->setText(&opened, status);
    if (U_FAILURE(status)) throw Error("ICU: no boundaries of characters: {}", u_errorName(status));
    auto begin = static_cast<std::size_t>(boundaries->first());
    for (std::int32_t next = boundaries->next(); next != icu::BreakIterator::DONE;
         next = boundaries->next()) {
      const auto end = static_cast<std::size_t>(next);
      append_cluster(text.substr(begin, end - begin), out);
      begin = end;
    }
    utext_close(&opened);
  }

  void append_cluster(std::string_view cluster, std::string& out) const {
    if (cluster.size() < long_cluster)
      if (const auto mapped = map_.find(cluster)) return append(*mapped, out);
    for (std::size_t i = 0; i < cluster.size();) {
      const std::size_t begin = i;
      decode_next(cluster, i);
      const std::string_view character = cluster.substr(begin, i - begin);
      append(map_.find(character).value_or(character), out);
    }
  }

  CharacterMap map_;
  std::array<std::string, 128> ascii_;
};

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char letter : text) {
    int value = 0;
    if (letter >= 'A' && letter <= 'Z')
      value = letter - 'A';
    else if (letter >= 'a' && letter <= 'z')
      value = letter - 'a' + 26;
    else if (letter >= '0' && letter <= '9')
      value = letter - '0' + 52;
    else if (letter == '+' || letter == '/')
      value = letter == '+' ? 62 : 63;
    else
      return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFF);
  }
  return bytes;
}

}  // namespace

std::unique_ptr<const Normalizer> make_precompiled(const std::string& bytes) {
  return std::make_unique<PrecompiledNormalizer>(bytes);
}

std::unique_ptr<const Normalizer> read_precompiled(const JsonField& field) {
  expect_part_keys(field, {"precompiled_charsmap"});
  const JsonField map = field.member("precompiled_charsmap");
  const auto bytes = decode_base64(map.string());
  if (!bytes) map.refuse("other characters", "base64");
  try {
    return make_precompiled(*bytes);
  } catch (const Error& error) {
    map.refuse(error.what(), "a character map of SentencePiece");
  }
}

}  // namespace rankfold
