# cmake -DOUT=FILE.cpp -DFOLDER=DIR -P embed_presets.cmake: the .sweep files of DIR, by name, as C++.
file(GLOB presets ${FOLDER}/*.sweep)
list(SORT presets)
set(entries "")
foreach(preset ${presets})
  get_filename_component(name ${preset} NAME_WE)
  file(READ ${preset} text)
  string(APPEND entries "    {\"${name}\", R\"sweep(${text})sweep\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"experiments/sweep/presets.h\"\n\nnamespace rankfold {\n
std::span<const SweepPreset> sweep_presets() {
  static const std::initializer_list<SweepPreset> presets = {\n${entries}  };
  return {presets.begin(), presets.size()};
}\n
}  // namespace rankfold\n")
