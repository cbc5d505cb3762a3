# cmake -DCRDS="a.yaml;b.yaml" -DOUT=crd_texts.cpp -P embed-crds.cmake
set(text "#include \"plugin/crds.h\"\n\nnamespace mo::plugin {\n\nconst std::vector<std::string_view> kCrdTexts = {\n")
foreach(crd ${CRDS})
  file(READ ${crd} yaml)
  string(APPEND text "R\"crd(${yaml})crd\",\n")
endforeach()
string(APPEND text "};\n\n}  // namespace mo::plugin\n")
file(WRITE ${OUT} "${text}")
