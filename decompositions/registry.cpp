#include "decompositions/registry.h"

namespace rankfold {

Registry builtin_registry() {
  return Registry({
      full(),
      lora(),
      loretta_adp(),
      loretta_rep(),
      lorta(),
      lotr(),
      none(),
  });
}

}  // namespace rankfold
