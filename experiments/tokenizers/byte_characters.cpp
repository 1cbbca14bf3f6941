#include "experiments/tokenizers/byte_characters.h"

#include <array>

namespace rankfold {
namespace {

bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// Two bytes of UTF-8 each, of which ASCII uses the first.
struct ByteAlphabet {
  std::array<std::array<char, 2>, 256> characters;
  std::array<std::int16_t, 512> bytes;  // -1: of no byte

  ByteAlphabet() {
    bytes.fill(-1);
    int others = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const int point = stands_for_itself(byte) ? byte : others++;
      bytes[static_cast<std::size_t>(point)] = static_cast<std::int16_t>(byte);
      characters[static_cast<std::size_t>(byte)] =
          point < 0x80 ? std::array<char, 2>{static_cast<char>(point), '\0'}
                       : std::array<char, 2>{static_cast<char>(0xC0 | (point >> 6)),
                                             static_cast<char>(0x80 | (point & 0x3F))};
    }
  }
};

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace

void append_byte_characters(std::string_view bytes, std::string& out) {
  const ByteAlphabet& alphabet = byte_alphabet();
  for (const char byte : bytes) {
    const auto& character = alphabet.characters[static_cast<unsigned char>(byte)];
    out += character[0];
    if (character[1] != '\0') out += character[1];
  }
}

std::optional<char> byte_of_character(char32_t character) {
  const ByteAlphabet& alphabet = byte_alphabet();
  if (character >= alphabet.bytes.size() || alphabet.bytes[character] < 0) return std::nullopt;
  return static_cast<char>(alphabet.bytes[character]);
}

}  // namespace rankfold
