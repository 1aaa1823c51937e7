"""CIFAR-10 and CIFAR-100 as their authors publish them (https://www.cs.toronto.edu/~kriz/cifar.html)."""

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")  # of CIFAR-10
BATCHES = 6  # of CIFAR-10, the test batch included
BATCH_IMAGES = 10_000  # in each of them

# SHA-256 of the archives, as in tensorflow-datasets and Keras.
CIFAR10_BINARY = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"  # cifar-10-binary.tar.gz
ARCHIVES = (
    CIFAR10_BINARY,
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",  # cifar-10-python.tar.gz
    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",  # cifar-100-binary.tar.gz
    "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",  # cifar-100-python.tar.gz
)
