#include <cstdio>

int main() {
  std::fputs("longbow: not built yet\n", stderr);
  return 2;
}
