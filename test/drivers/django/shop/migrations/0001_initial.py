import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("joined", models.DateTimeField()),
                ("balance", models.DecimalField(decimal_places=2, default=0, max_digits=12)),
                ("tags", models.JSONField(default=list)),
                ("active", models.BooleanField(default=True)),
                ("photo", models.BinaryField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("product", models.CharField(max_length=50)),
                ("amount", models.PositiveIntegerField()),
                ("took", models.DurationField(null=True)),
                (
                    "customer",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="orders", to="shop.customer"),
                ),
            ],
        ),
    ]
