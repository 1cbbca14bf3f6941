# cmake -DOUT=FILE.cpp -DFOLDER=DIR -P embed_tables.cmake: the .csv files of DIR, by name, as C++.
file(GLOB tables ${FOLDER}/*.csv)
list(SORT tables)
set(entries "")
foreach(table ${tables})
  get_filename_component(name ${table} NAME)
  file(READ ${table} text)
  string(APPEND entries "    {\"${name}\", R\"csv(${text})csv\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"analysis/published/published.h\"\n\nnamespace rankfold {\n
std::span<const PublishedTable> published_tables() {
  static const std::initializer_list<PublishedTable> tables = {\n${entries}  };
  return {tables.begin(), tables.size()};
}\n
}  // namespace rankfold\n")
